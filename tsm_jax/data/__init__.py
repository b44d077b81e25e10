"""The way of a clip is the order of the rooms.

`sources` (which clips there are) -> `clips` (one file <-> one record) ->
`store` (records <-> disk) -> `input` (records -> batches).
"""
