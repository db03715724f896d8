"""Values told by their shape: enough to see a wrong form, not enough to know whom it is about."""

_LONGEST = 80


def shape_of(cell: str | None) -> str:
    """The shape of a value: `1984-13-02` is `9999-99-99`, `Zhang Wei` is `Xxxxx Xxx`, a Chinese name is `文文`.

    Punctuation and spaces stay, because they are what is often wrong; nothing that stays tells a value.
    """
    if cell is None:
        return "nothing"
    shown = "".join(_sign(sign) for sign in cell[:_LONGEST])
    return f"“{shown}”" + (f" and {len(cell) - _LONGEST} more" if len(cell) > _LONGEST else "")


def _sign(sign: str) -> str:
    if sign.isdecimal():
        return "9" if sign.isascii() else "９"
    if sign.isascii() and sign.isalpha():
        return "X" if sign.isupper() else "x"
    return "文" if sign.isalnum() else sign
