"""What tests and the demo need beside the product: generated people, hostile records, grounds to run parts on."""
