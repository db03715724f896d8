"""The last proof of canonical form where the Python type of a value does not tell its branch of a union."""

from exchange.avro.compiled.decoder import compile_decode
from exchange.avro.compiled.encoder import compile_encode
from exchange.avro.schema import Schema
from exchange.errors import ExchangeError


class Recoder:
    """Compares bytes with what the encoder writes for what they mean.

    The walk has already proven everything else, so this runs on sound bytes only. Entries of maps may stand in any
    order, which decoding and encoding keeps.
    """

    def __init__(self, schema: Schema) -> None:
        self._decode = compile_decode(schema)
        self._encode = compile_encode(schema)

    def __call__(self, b: bytes, p: int) -> None:
        """`p` is where the value begins in `b`."""
        data = b[p:]
        try:
            same = self._encode(self._decode(data)) == data
        except ExchangeError:
            same = False
        if not same:
            raise ExchangeError("E_AVRO_NOT_CANONICAL", "a union holds a value in a branch that no encoder chooses")
