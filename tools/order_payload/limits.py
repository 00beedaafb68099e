"""What a body may hold, and how much of it is told."""

MAX_DEPTH = 32  # lists and objects in each other
MAX_VALUES = 50_000  # fields and elements, and empty objects and lists once more; 500 lines of 20 fields are 10,500
MAX_KEY = 255  # characters of a name
MAX_LINES = 500  # which Odoo makes in some two seconds
MAX_FAULTS = 100  # that are told one by one
MAX_POINTER = 500  # characters, as are those below
MAX_DETAIL = 500  # of a fault
MAX_QUOTE = 40  # of a value in a fault
MAX_NUMBER = 100  # digits
MAX_MARKS = 30  # combining ones in a row, as in the Stream-Safe Text Format of UAX #15
MAX_TEXT = 255
MAX_REFERENCE = 64
MAX_IDEMPOTENCY_KEY = 255  # of the header that stands in for a reference
MAX_NOTE = 10_000
MAX_QUANTITY = 100_000
MAX_PRICE = 10**9
