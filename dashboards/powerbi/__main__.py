"""Writes both projects anew."""

from dashboards.powerbi.project import AUDIENCES, write

for audience in AUDIENCES:
    for path in write(audience):
        print(path)
