"""Tables through a model on many machines, by an engine that people already run.

`bertblocks.cluster.ray` is for Ray Data. Nothing of an engine is imported before it is asked for.
"""
