"""What is written by plain SQL is seen by no computed field that is stored: it would keep an old value."""

import re

from odoo.tests import TransactionCase, tagged

from ..models.iused_exchange import INSERTED
from ..models.iused_shipment_sender import WRITE_RESULT


@tagged("post_install", "-at_install")
class TestPlainSql(TransactionCase):
    def _stored_dependents(self, model, column):
        """Return the stored fields, of whatever model, that are computed from a column."""
        field = self.env[model]._fields[column]
        return [str(dependent) for dependent in self.registry.get_dependent_fields(field) if dependent.store]

    def test_no_stored_field_depends_on_what_is_written_by_plain_sql(self):
        written = {
            "iused.exchange": [*INSERTED, "create_date"],
            "iused.shipment.update": re.findall(r"(\w+) = (?:%\(|now\(\))", WRITE_RESULT.partition("WHERE")[0]),
            "res.users.apikeys": ["iused_last_use"],
            "iused.secret": ["company_id", "location_id", "name", "value"],
        }
        self.assertIn("state", written["iused.shipment.update"])
        self.assertIn("write_date", written["iused.shipment.update"])
        for model, columns in written.items():
            for column in columns:
                with self.subTest(model=model, column=column):
                    self.assertFalse(self._stored_dependents(model, column))

    def test_a_stored_field_that_depends_on_a_column_is_found(self):
        self.assertTrue(self._stored_dependents("res.partner", "name"))
