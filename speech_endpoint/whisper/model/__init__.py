"""Whisper's networks over transformers' weights, written for batched decoding.

Differences from the reference: query, key and value projections are fused, the attention scale is
folded into the query's weights, caches are allocated once, the cross-attention's keys and values
are computed once a window, and each row of a batch stands at its own position.
"""
