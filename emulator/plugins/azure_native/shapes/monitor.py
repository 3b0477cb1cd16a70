"""Watching and spending: azure-native:monitor, :operationalinsights and :consumption."""

from emulator.plugins.azure_native.layout import Layout, flat, plain
from emulator.plugins.azure_native.shape import Name, Shape, group_path
from emulator.plugins.azure_native.shapes.identity import IDENTITY

_OWN = ("id", "name", "type", "etag", "systemData")
_TOP = (*_OWN, "identity", "kind", "location", "tags")
_RULE_NAME = Name(pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*", minimum=3, maximum=64)

SHAPES = (
    Shape(
        pulumi_type="azure-native:monitor:ActionGroup",
        path=group_path("Microsoft.Insights/actionGroups/{actionGroupName}"),
        version="2024-10-01-preview",
        inputs="location tags identity armRoleReceivers automationRunbookReceivers azureAppPushReceivers "
        "azureFunctionReceivers emailReceivers enabled eventHubReceivers groupShortName "
        "incidentReceivers itsmReceivers logicAppReceivers smsReceivers voiceReceivers "
        "webhookReceivers",
        layout=flat(*_TOP, members={"identity": IDENTITY, "emailReceivers": plain(computed=("status",))}),
        name=Name(
            pattern=r"[^:<>+/&%\\?\x00-\x1f]*[^:<>+/&%\\? .\x00-\x1f]",
            maximum=260,
        ),
        required="enabled groupShortName",
        replaces="location",
        defaults={
            "emailReceivers[].useCommonAlertSchema": False,
            "webhookReceivers[].useAadAuth": False,
            "webhookReceivers[].useCommonAlertSchema": False,
        },
    ),
    Shape(
        pulumi_type="azure-native:monitor:DataCollectionRule",
        path=group_path("Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}"),
        version="2022-06-01",
        inputs="location tags identity kind dataCollectionEndpointId dataFlows dataSources description "
        "destinations streamDeclarations",
        layout=flat(
            *_TOP,
            members={
                "identity": IDENTITY,
                "destinations": plain({"logAnalytics": plain(computed=("workspaceId",))}),
            },
        ),
        name=_RULE_NAME,
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:monitor:DataCollectionRuleAssociation",
        path="/{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}",
        version="2022-06-01",
        inputs="dataCollectionEndpointId dataCollectionRuleId description",
        layout=flat(*_OWN),
        name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*", maximum=64),
    ),
    Shape(
        pulumi_type="azure-native:monitor:DiagnosticSetting",
        path="/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
        version="2021-05-01-preview",
        inputs="eventHubAuthorizationRuleId eventHubName logAnalyticsDestinationType logs "
        "marketplacePartnerId metrics serviceBusRuleId storageAccountId workspaceId",
        layout=flat(*_OWN),
        name=Name(pattern=r"[^<>*%&:\\?+/#]*[^<>*%&:\\?+/# .]", maximum=260),
    ),
    Shape(
        pulumi_type="azure-native:monitor:MetricAlert",
        path=group_path("Microsoft.Insights/metricAlerts/{ruleName}"),
        version="2018-03-01",
        inputs="location tags actions autoMitigate criteria description enabled evaluationFrequency scopes "
        "severity targetResourceRegion targetResourceType windowSize",
        layout=flat(*_TOP, members={"criteria": Layout(renamed={"odataType": "odata.type"})}),
        name=Name(
            pattern=r"[^*#&+:<>?@%{}\\/\x00-\x1f]*[^*#&+:<>?@%{}\\/ .\x00-\x1f]",
            maximum=260,
        ),
        required="criteria enabled evaluationFrequency scopes severity windowSize",
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:monitor:ScheduledQueryRule",
        path=group_path("Microsoft.Insights/scheduledQueryRules/{ruleName}"),
        version="2025-01-01-preview",
        inputs="location tags identity kind actions autoMitigate checkWorkspaceAlertsStorageConfigured "
        "criteria description displayName enabled evaluationFrequency muteActionsDuration "
        "overrideQueryTimeRange resolveConfiguration scopes severity skipQueryValidation "
        "targetResourceTypes windowSize",
        layout=flat(*_TOP, members={"identity": IDENTITY}),
        name=Name(
            pattern=r"[^#<>%&:\\?/{}*]*[^#<>%&:\\?/{}* .]",
            maximum=260,
        ),
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:operationalinsights:Workspace",
        path=group_path("Microsoft.OperationalInsights/workspaces/{workspaceName}"),
        version="2023-09-01",
        inputs="location tags identity defaultDataCollectionRuleResourceId features forceCmkForQuery "
        "publicNetworkAccessForIngestion publicNetworkAccessForQuery retentionInDays sku "
        "workspaceCapping",
        layout=flat(
            *_TOP,
            members={
                "identity": IDENTITY,
                "sku": plain(computed=("lastSkuUpdate",)),
                "workspaceCapping": plain(computed=("dataIngestionStatus", "quotaNextResetTime")),
            },
        ),
        name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9-]+[A-Za-z0-9]", minimum=4, maximum=63),
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:consumption:Budget",
        path="/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
        version="2024-08-01",
        inputs="amount category eTag filter notifications timeGrain timePeriod",
        layout=flat("id", "name", "type", "eTag", "systemData"),
        name=Name(pattern=r"[A-Za-z0-9_-]+", maximum=63),
        required="amount category timeGrain timePeriod",
    ),
)
