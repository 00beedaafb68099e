from . import (
    iused_invoice_period,
    iused_mapping_test,
    iused_shipment_serial,
    iused_statement_period,
    iused_token_new,
    portal_wizard,
)
