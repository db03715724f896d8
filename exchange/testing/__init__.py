"""What tests, the demo and connector authors need beside the product: generated people, hostile records, conformance."""
