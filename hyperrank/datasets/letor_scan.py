"""The loop over the bytes of LETOR text, in the part of Python that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np

# One loop without functions of its own: what numba is to compile may call nothing that it has not compiled.

__all__ = ["scan"]

#: Digits that double precision holds exactly, and powers of ten that it holds exactly: one product or
#: quotient of both is rounded as ``float`` rounds.
DIGITS, LARGEST_POWER = 15, 22
POWERS = 10.0 ** np.arange(LARGEST_POWER + 1)
TAB, LINE_END, RETURN, BLANK, HASH, PLUS, MINUS, POINT, ZERO, NINE, COLON = b"\t\n\r #+-.09:"
LETTER_E, LETTER_Q, LETTER_I, LETTER_D = b"eqid"
#: Digits of feature numbers and of query ids.
INDEX_DIGITS, ID_DIGITS = 8, 18


def scan(
    raw: Any, labels: Any, ids: Any, counts: Any, index: Any, values: Any, odd: Any
) -> tuple[int, int, int, int]:
    """Read lines into arrays that have room for them.

    Parameters
    ----------
    raw : ndarray of uint8
        Whole lines.
    labels, ids, counts, index, values : ndarray
        Filled as `hyperrank.datasets._letor_lines.Block` has them.

    odd : ndarray of shape (k, 3), int64
        Filled with the values that are to be read otherwise, or refused: which of `values`, and where their
        text begins and ends.

    Returns
    -------
    n_rows, n_values, with_ids, n_odd : int
        What was filled, and how many rows have a query id; n_rows is -1 if some line is not plain.
    """
    end, at = len(raw), 0
    n_rows, n_values, with_ids, n_odd = 0, 0, 0, 0
    whole: Any
    power: Any
    place, last, before = 0, -1, 0  # the token of the line, its last feature number, values before the line
    while at < end:
        byte = raw[at]
        if byte in (BLANK, TAB, RETURN):
            at += 1
            continue
        if byte == HASH:
            while at < end and raw[at] != LINE_END:
                at += 1
            continue
        if byte == LINE_END:
            at += 1
            if place > 0:
                counts[n_rows] = n_values - before
                n_rows += 1
                place, last, before = 0, -1, n_values
            continue
        if place == 1 and byte == LETTER_Q:
            if at + 4 >= end or raw[at + 1] != LETTER_I or raw[at + 2] != LETTER_D or raw[at + 3] != COLON:
                return -1, 0, 0, 0
            at += 4
            begin, whole = at, np.int64(0)
            while at < end and ZERO <= raw[at] <= NINE:
                whole = whole * 10 + (np.int64(raw[at]) - ZERO)
                at += 1
                if at - begin > ID_DIGITS:
                    return -1, 0, 0, 0
            if at == begin or (raw[begin] == ZERO and at - begin > 1):
                return -1, 0, 0, 0
            ids[n_rows] = whole
            with_ids += 1
            if at < end and not (raw[at] <= BLANK or raw[at] == HASH):
                return -1, 0, 0, 0
            place = 2
            continue
        if place > 0:
            begin, whole = at, np.int64(0)
            while at < end and ZERO <= raw[at] <= NINE:
                whole = whole * 10 + (np.int64(raw[at]) - ZERO)
                at += 1
                if at - begin > INDEX_DIGITS:
                    return -1, 0, 0, 0
            if at == begin or at >= end or raw[at] != COLON or whole <= last:
                return -1, 0, 0, 0
            last = whole
            at += 1
        # A number: the label, or the value of a feature.
        begin = at
        negative = at < end and raw[at] == MINUS
        if negative:
            at += 1
        whole, n_digits, power = np.int64(0), 0, 0
        while at < end and ZERO <= raw[at] <= NINE and n_digits <= DIGITS:
            whole = whole * 10 + (np.int64(raw[at]) - ZERO)
            at += 1
            n_digits += 1
        if at < end and raw[at] == POINT:
            at += 1
            while at < end and ZERO <= raw[at] <= NINE and n_digits <= DIGITS:
                whole = whole * 10 + (np.int64(raw[at]) - ZERO)
                at += 1
                n_digits += 1
                power -= 1
        plain = 0 < n_digits <= DIGITS
        if plain and at < end and raw[at] == LETTER_E:
            at += 1
            down = at < end and raw[at] == MINUS
            if at < end and (raw[at] == MINUS or raw[at] == PLUS):
                at += 1
            first, exponent = at, np.int64(0)
            while at < end and ZERO <= raw[at] <= NINE and at - first < 3:
                exponent = exponent * 10 + (np.int64(raw[at]) - ZERO)
                at += 1
            plain = at > first
            power += -exponent if down else exponent
        plain = plain and -LARGEST_POWER <= power <= LARGEST_POWER
        if not (plain and (at >= end or raw[at] <= BLANK or raw[at] == HASH)):
            if place == 0 or n_odd == len(odd):
                return -1, 0, 0, 0
            while at < end and raw[at] > BLANK and raw[at] != HASH:
                at += 1
            odd[n_odd, 0], odd[n_odd, 1], odd[n_odd, 2] = n_values, begin, at
            n_odd += 1
            whole, power = np.int64(0), 0
        value = whole * POWERS[power] if power >= 0 else whole / POWERS[-power]
        if negative:
            value = -value
        if place == 0:
            if value < 0:
                return -1, 0, 0, 0
            labels[n_rows] = value
            place = 1
        else:
            index[n_values] = last
            values[n_values] = value
            n_values += 1
            place = 2
    if place > 0:
        counts[n_rows] = n_values - before
        n_rows += 1
    return n_rows, n_values, with_ids, n_odd
