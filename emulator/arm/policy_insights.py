"""Microsoft.PolicyInsights: what policies would deny. Nobody can assign a policy here, so nothing is denied.

https://learn.microsoft.com/rest/api/policy/policy-restrictions/check-at-subscription-scope
"""

from emulator.arm.context import Context
from emulator.arm.errors import bad_request
from emulator.arm.messages import Request, Response


def check(_: Context, request: Request) -> Response:
    """Answer checkPolicyRestrictions."""
    details = (request.body or {}).get("resourceDetails")
    if not isinstance(details, dict) or not isinstance(details.get("resourceContent"), dict):
        raise bad_request("InvalidCheckRestrictionsRequest", "The resource to evaluate is missing.")
    return Response(
        status=200, body={"fieldRestrictions": [], "contentEvaluationResult": {"policyEvaluations": []}}
    )


ACTIONS = {"Microsoft.PolicyInsights/checkPolicyRestrictions": check}
