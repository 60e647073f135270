"""Where answers come from; the only importer of the platforms' SDKs."""
