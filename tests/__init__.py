from . import (
    test_access,
    test_identifiers,
    test_offers,
    test_order_payload,
    test_orders,
    test_settings,
    test_sftp,
    test_shipments,
)
