"""The Power BI projects `dashboards/hospital` and `dashboards/centre`, written from one description.

`python -m dashboards.powerbi` writes them: the models from the curated tables' schema and `dax.yaml`, the
reports from `pages.yaml`. They are committed and reviewed like code; a test holds them to what would be
written now.
"""
