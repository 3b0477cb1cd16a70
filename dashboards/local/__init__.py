"""The dashboards as local web pages: one self-contained HTML file a party, from its own curated tables."""
