"""Avro: schemas compiled once into specialised functions. The only home of fastavro."""

from exchange.avro.codec import Codec

__all__ = ["Codec"]
