"""The tables of dashboards: where they lie in a container, and what keeps a reader to them."""

from typing import Final

#: Where the tables of dashboards lie in a container.
CURATED: Final = "curated/"
#: A reader of tables reads nothing else, and lists nothing: without a blob there is no path to compare.
#: https://learn.microsoft.com/azure/storage/blobs/storage-auth-abac-examples#example-read-blobs-with-a-path
CURATED_ONLY: Final = (
    "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'})) OR "
    "(@Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] "
    f"StringLike '{CURATED}*'))"
)
