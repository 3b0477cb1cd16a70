"""A data set's schema: the standard's form, a documented part of it, and nothing that nobody keeps."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fed_data import schema
from fed_data.catalogue import RELEASED, Catalogue
from fed_data.schema import SchemaError

from tests.unit.support.data_sets import data_set, package
from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

AGE: dict[str, Any] = {"name": "age", "type": "integer"}
SPLIT: dict[str, Any] = {"name": "split", "type": "string", "constraints": {"enum": ["train", "test"]}}


class TestReleased:
    @pytest.mark.parametrize("folder", [path.parent for path in RELEASED.glob(f"*/{schema.FILE}")])
    def test_each_is_in_a_folder_of_its_name_and_says_what_a_row_is(self, folder: Any) -> None:
        found = schema.read((folder / schema.FILE).read_bytes())
        assert found.name == folder.name
        assert all(column.title != column.name for column in found.columns)

    def test_heart_has_the_columns_that_the_seed_writes(self) -> None:
        heart = Catalogue.released().named("heart")
        assert heart is not None
        assert tuple(heart.by_name) == heart_data.COLUMNS
        assert heart_data.seed("hungary").decode().splitlines()[0] == ",".join(heart.by_name)

    def test_what_jobs_know_of_codes_is_what_the_schema_lists(self) -> None:
        """A job's code reads columns as the schema says that they are written; nothing else decides them."""
        heart = Catalogue.released().named("heart")
        assert heart is not None
        for column, codes in model.CATEGORIES.items():
            assert {str(code) for code in codes} < set(heart.by_name[column].listed)
        for column in model.BINARY:
            assert heart.by_name[column].listed == ("0", "1")
        statistics = yaml.safe_load(Path("workloads/jobs/statistics/job.yaml").read_text())["statistics"]
        for feature in statistics["features"]:
            column, _, value = feature.partition("=")
            assert not value or value in heart.by_name[column].listed
        assert not [name for name in statistics["missing"] if heart.by_name[name].required]


class TestCatalogue:
    def test_a_file_is_of_the_data_set_whose_name_it_has(self) -> None:
        known = Catalogue([data_set(AGE)])
        for file, name in {
            "any.csv": "any",
            "any.parquet": "any",
            "any.txt": None,
            "other.csv": None,
        }.items():
            found = known.of(file)
            assert (found and found.name) == name


class TestForm:
    def test_what_the_standard_says_is_understood(self) -> None:
        sex = {"name": "sex", "type": "integer", "categories": [{"value": 0, "label": "female"}, 1]}
        found = data_set(AGE | {"constraints": {"minimum": 0}, "fed:unit": "years"}, sex, SPLIT)
        age, sexes, split = found.columns
        assert (age.minimum, age.unit, age.required) == (0, "years", False)
        assert (sexes.listed, sexes.labels) == (("0", "1"), {"0": "female"})
        assert split.possible == ("train", "test")

    def test_the_checksum_follows_the_content_and_not_its_layout(self) -> None:
        content = package(AGE)
        compact, spread = json.dumps(content), json.dumps(content, indent=4, sort_keys=True)
        assert schema.read(compact.encode()).sha256 == schema.read(spread.encode()).sha256
        assert schema.read(compact.encode()).sha256 != data_set(AGE, SPLIT).sha256

    @pytest.mark.parametrize(
        ("fields", "rules", "said"),
        [
            (
                [AGE | {"constraints": {"pattern": "[0-9]+"}}],
                {},
                "constraints.pattern: Extra inputs are not permitted",
            ),
            ([AGE | {"type": "geopoint"}], {}, "fields.0.type"),
            ([AGE | {"name": "a=b"}], {}, "a column's name is"),
            ([AGE, AGE], {}, "the column age is there twice"),
            ([AGE | {"constraints": {"minimum": 3, "maximum": 2}}], {}, "minimum is above maximum"),
            ([SPLIT | {"constraints": {"minimum": 3}}], {}, "minimum and maximum are for integer and number"),
            ([AGE | {"constraints": {"enum": ["a"]}}], {}, "is not of the type integer"),
            ([AGE | {"constraints": {"enum": [1]}, "categories": [1]}], {}, "keep one"),
            ([AGE | {"type": "number", "constraints": {"enum": [1]}}], {}, "for integer and string"),
            ([AGE], {"fed:everyValueOf": ["age"]}, "age has none"),
            ([AGE], {"primaryKey": ["age"]}, "primaryKey: Extra inputs"),
            ([AGE], {"fieldsMatch": "subset"}, "fieldsMatch"),
            ([], {}, "fields"),
        ],
    )
    def test_what_nobody_would_keep_is_refused(
        self, fields: list[dict[str, Any]], rules: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SchemaError) as refused:
            data_set(*fields, **rules)
        assert said in str(refused.value)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"{", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "the whole"),
            (b"x" * (schema.LARGEST + 1), "larger than"),
            (json.dumps(package(AGE) | {"version": "new"}).encode(), "version"),
            (json.dumps(package(AGE) | {"name": "other"}).encode(), "path has to be other.csv"),
            (json.dumps(package(AGE) | {"resources": []}).encode(), "resources"),
        ],
    )
    def test_other_content_is_refused_by_its_place(self, content: bytes, said: str) -> None:
        with pytest.raises(SchemaError, match=said):
            schema.read(content)
