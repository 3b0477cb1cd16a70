"""Writes both projects again."""

from dashboards.powerbi.project import AUDIENCES, write

for audience in AUDIENCES:
    for path in write(audience):
        print(path)
