"""Each party's dashboard: as a page on this machine, and published to Power BI."""
