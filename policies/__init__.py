"""Rules that every planned resource must keep before Azure sees it (a Pulumi CrossGuard pack).

A rule is a plain function over a resource's type and its camelCase inputs; `policies.rule` turns it into a
violation that says which resource, which rule, why it matters and the fix. `__main__` serves the pack to
the engine (``pulumi preview --policy-pack policies``), `check` holds a plan or a deployment against all
rules. What only a whole deployment can show, reachability above all, is proven by ``./fed verify``; the
rules stop the single wrong property early.
"""
