"""What tests of several kinds run parts of the exchange on. Fixtures in conftest.py files hand it out."""
