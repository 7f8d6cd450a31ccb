package api

// DecodePatch is the decoder itself, for the fuzz target.
var DecodePatch = decodePatch
