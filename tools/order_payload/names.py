"""The names that our fields go by elsewhere, and the objects in which they are looked for. Only data."""

_GIVEN = "first_name given_name forename voornaam"
_INFIX = "infix middle_name tussenvoegsel"
_FAMILY = "last_name surname family_name achternaam"
_EMAIL = "email e_mail email_address emailadres"
_PHONE = "phone phone_number telephone telephone_number mobile mobile_phone mobile_number tel telefoon telefoonnummer"

# Our field: how its value is read (a key of `PARSERS`), and the names it goes by, the best first. A dot
# leads into an object.
TABLE = {
    "order_id": (
        "reference",
        (
            "order_id order_number order_no order_nr order_reference order_ref reference bestelnummer order.id"
            " order.number order.reference id number"
        ),
    ),
    "created_at": (
        "moment",
        ("created_at created created_on date_created order_date ordered_at placed_at date timestamp besteldatum"),
    ),
    "requested_date": (
        "day",
        (
            "requested_date requested_delivery_date requested_ship_date desired_delivery_date delivery_date"
            " expected_delivery_date ship_by"
        ),
    ),
    "currency": ("currency", "currency currency_code currency_iso currency.code valuta"),
    "status": ("status", "status order_status"),
    "note": (
        "note",
        (
            "note notes remark remarks comment comments customer_note order_note instructions"
            " delivery_instructions opmerking opmerkingen"
        ),
    ),
    "customer.name": ("text", "name full_name naam"),
    "customer.first_name": ("text", _GIVEN),
    "customer.infix": ("text", _INFIX),
    "customer.last_name": ("text", _FAMILY),
    "customer.email": ("text", _EMAIL),
    "customer.phone": ("text", _PHONE),
    "shipping_address.name": (
        "text",
        (
            "name full_name recipient recipient_name contact_name contact_person attention naam customer_name"
            " recipient.name"
        ),
    ),
    "shipping_address.first_name": ("text", _GIVEN),
    "shipping_address.infix": ("text", _INFIX),
    "shipping_address.last_name": ("text", _FAMILY),
    "shipping_address.company": (
        "text",
        ("company company_name organisation organization business_name bedrijf bedrijfsnaam"),
    ),
    "shipping_address.street": (
        "text",
        (
            "street street_name street1 street_line1 street_address address_line1 address1 line1 address straat"
            " straatnaam adres"
        ),
    ),
    "shipping_address.house_number": ("text", "house_number house_no house_nr street_number huisnummer"),
    "shipping_address.house_number_addition": (
        "text",
        (
            "house_number_addition house_number_suffix house_number_ext house_number_extension house_addition"
            " addition huisnummer_toevoeging toevoeging"
        ),
    ),
    "shipping_address.street2": (
        "text",
        (
            "street2 additional_street street_additional street_line2 address_line2 address2 line2"
            " additional_address address_addition adres2"
        ),
    ),
    "shipping_address.postal_code": ("postal_code", "postal_code postcode post_code zip_code zip plz"),
    "shipping_address.city": ("text", "city city_name town locality place plaats woonplaats stad"),
    "shipping_address.state": (
        "text",
        ("state_code province_code state province region state.code province.code region.code provincie"),
    ),
    "shipping_address.country": (
        "country",
        (
            "country_code country_iso country_iso2 country_iso3 landcode country country.code country.iso"
            " country.iso2 country.name country_name land"
        ),
    ),
    "shipping_address.phone": ("text", _PHONE),
    "shipping_address.email": ("text", _EMAIL),
    "lines[].line_id": ("text", "line_id line_item_id order_line_id order_item_id line_number line_no id"),
    "lines[].sku": (
        "text",
        (
            "sku product_sku item_sku offer_sku seller_sku supplier_sku product_code item_code article_code"
            " article_number artikelnummer product.sku item.sku article.sku offer.sku variant.sku"
        ),
    ),
    "lines[].ean": (
        "text",
        (
            "ean ean13 ean_code gtin gtin13 barcode upc product.ean item.ean article.ean offer.ean variant.ean"
            " product.gtin product.barcode"
        ),
    ),
    "lines[].name": (
        "text",
        (
            "name product_name item_name title description product_title product.name product.title item.name"
            " article.name"
        ),
    ),
    "lines[].quantity": ("quantity", "quantity qty quantity_ordered ordered_quantity pieces count aantal"),
    # What iUsed pays comes before anything that might be what the consumer pays.
    "lines[].price": (
        "price",
        (
            "price_purchase_amount purchase_price price_excl_vat unit_price_excl_vat price_excl_tax net_price"
            " unit_price price price.amount unit_price.amount price.value prijs"
        ),
    ),
}

LINES = (
    "lines",
    "line_items",
    "order_lines",
    "order_items",
    "items",
    "products",
    "articles",
    "positions",
    "rows",
    "line",
    "order_line",
)
ONE_PRODUCT = ("item", "product", "article", "line_item", "order_item")  # a line if its quantity is inside
LINE_FIELDS = [ours for ours in TABLE if ours.startswith("lines[].")]
PLACES = {
    "customer": (
        "customer.",
        "buyer.",
        "consumer.",
        "client.",
        "contact.",
        "customer_",
        "buyer_",
        "consumer_",
        "client_",
        "contact_",
    ),
    "shipping_address": (
        "shipping_address.",
        "delivery_address.",
        "ship_to_address.",
        "ship_to.address.",
        "ship_to.",
        "shipping.address.",
        "shipping.",
        "delivery.address.",
        "delivery.",
        "recipient.address.",
        "recipient.",
        "consignee.address.",
        "consignee.",
        "addresses.shipping.",
        "addresses.delivery.",
        "customer.shipping_address.",
        "customer.delivery_address.",
        "shipping_",
        "delivery_",
        "ship_to_",
        "recipient_",
        "",
        "address.",
        "customer.address.",
        "customer.",
        "customer_",
    ),
}
# A place holds the customer or the address if one of these is found there.
TELLING = {
    "customer": ("name", "first_name", "last_name", "email", "phone"),
    "shipping_address": ("street", "postal_code", "city"),
}
REQUIRED = ("street", "postal_code", "city", "country")  # and a name, which may be lent or put together
NAME_PARTS = ("first_name", "infix", "last_name")
PERSON = (*NAME_PARTS, "name", "company", "phone", "email")  # may be one object further out than the street
ENVELOPES = ("order", "orders", "data", "payload", "body", "object")
CANCELLED = ("cancelled", "canceled", "cancel", "cancelation", "cancellation", "geannuleerd", "storniert")
# In a word that is none of these, but may mean the same, or that nothing is to be delivered.
CANCELLING = ("cancel", "annul", "annuleer", "storn", "refund", "reject", "declin", "void", "fail", "hold")
EVENTS = ("event", "eventname", "eventtype", "type", "topic", "action")  # which say what happened to an order
NOT_OF_A_PRODUCT = ("id", "name", "title", "description")  # in a flat order: of the order or a person

FIELDS = (*TABLE, "shipping_address", "lines")
"""Every field that a mapping may name; the last two stand for the whole object and the whole list."""
