"""Archives: a folder, a prefix or a data set of recordings to tables of transcripts, on Ray."""
