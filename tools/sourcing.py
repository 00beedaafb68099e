"""Which warehouse delivers what of an order."""

from collections import Counter


def share_out(lines, left, warehouses):
    """Tell which warehouse delivers what of each line of an order, in few deliveries.

    The warehouse that has all of the order delivers it. Else the one that has most of its lines delivers those, and so
    on with the others. A line that none of them has whole is split; what all of them together lack is for the one that
    has most of it.

    :param list lines: of each line its product and pieces
    :param dict left: product -> dict: warehouse -> pieces that can be sold; other products come from anywhere
    :param list warehouses: in the order of preference
    :return: a list with a dict for each line: warehouse -> pieces; empty for a line that may come from anywhere
    """
    left = {product: {place: pieces.get(place, 0) for place in warehouses} for product, pieces in left.items()}
    shares = [{} for _line in lines]
    waiting = [number for number, (product, _pieces) in enumerate(lines) if product in left and warehouses]
    while waiting:
        place = max(warehouses, key=lambda place, waiting=waiting: len(_find_whole(lines, waiting, left, place)))
        whole = _find_whole(lines, waiting, left, place)
        if not whole:
            break
        for number in whole:
            product, pieces = lines[number]
            shares[number] = {place: pieces}
            left[product][place] -= pieces
        waiting = [number for number in waiting if number not in whole]
    for number in waiting:
        product, pieces = lines[number]
        shares[number] = _split(pieces, left[product])
        for place, share in shares[number].items():
            left[product][place] = max(0, left[product][place] - share)
    return shares


def _find_whole(lines, waiting, left, place):
    """Return which of the waiting lines a warehouse can deliver whole."""
    taken = Counter()
    whole = []
    for number in waiting:
        product, pieces = lines[number]
        if taken[product] + pieces <= left[product][place]:
            taken[product] += pieces
            whole.append(number)
    return whole


def _split(pieces, left):
    """Return the parts of a line: warehouse -> pieces; what is short is for the one that has most."""
    by_most = sorted(left, key=lambda place: -left[place])
    parts = {}
    for place in by_most:
        part = min(pieces, left[place])
        if part:
            parts[place] = part
            pieces -= part
    if pieces:
        parts[by_most[0]] = parts.get(by_most[0], 0) + pieces
    return parts
