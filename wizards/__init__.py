from . import (
    iused_invoice_period,
    iused_mapping_test,
    iused_return_text,
    iused_shipment_serial,
    portal_wizard,
    stock_return_picking,
)
