from . import (
    iused_erase_consumer,
    iused_invoice_period,
    iused_mapping_test,
    iused_privacy_preview,
    iused_shipment_serial,
    portal_wizard,
)
