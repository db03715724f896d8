"""Avro: schemas compiled once into specialised functions. The only home of fastavro."""

from exchange.avro.codec import Codec
from exchange.avro.compiled.slicer import Slicer

__all__ = ["Codec", "Slicer"]
