"""Records as signed files in a drop folder: for departments that take files and run no connector of their own.

A delivery has a number. Its manifest, written last and in one step, makes it one; everything else beside it is in the
making. The grantee takes it by a receipt that holds the SHA-256 of the manifest.

    000007.csv              records written, for people and spreadsheets
    000007.avro             the same records, exact, as an Avro object container
    000007.withdrawn.csv    keys of the records that are held no longer
    000007.manifest.sig     Ed25519 signature of the manifest's bytes
    000007.manifest.json    what the delivery consists of, and the SHA-256 of the manifest before
    000007.receipt.json     put there by the grantee
"""
