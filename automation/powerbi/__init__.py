"""Power BI projects: held to what Microsoft's own tools and our own rules say, and published to workspaces.

Neither needs Power BI itself, which runs on Windows and in the cloud alone (docs/dashboards.md).
"""
