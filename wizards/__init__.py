from . import (
    iused_erase_consumer,
    iused_invoice_period,
    iused_mapping_test,
    iused_privacy_preview,
    iused_return_text,
    iused_shipment_serial,
    iused_statement_period,
    iused_token_new,
    portal_wizard,
    stock_return_picking,
)
