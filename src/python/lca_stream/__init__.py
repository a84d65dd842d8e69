"""lca_stream: read and write the streams of lca from Python, and be one of its stages.

    read                every frame of a recording
    Input, Output       a stream from or to files, pipes and links
    Tap                 a look into a live stream
    Aggregator, Agg     a stage of one's own
    Worker, serve       a gradient worker
    lca_stream.pytorch  a training of one's own, watched; any module as a gradient worker

docs/python.md has examples of each, docs/frames.md the bytes."""
from .aggregator import Agg, Aggregator
from .consumer import Input
from .curve import Security
from .errors import AbortedError, CorruptError, DifferError, Error, PeerError, UpstreamError, UsageError
from .pool_worker import Job, Row, Unit, Worker, serve
from .producer import Output
from .records import read
from .table import Table, Tensor
from .taps import Tap
from .vectors import Vector, vectors
from .wire import Frame

__version__ = '0.1.0'

__all__ = ['AbortedError', 'Agg', 'Aggregator', 'CorruptError', 'DifferError', 'Error', 'Frame', 'Input', 'Job',
           'Output', 'PeerError', 'Row', 'Security', 'Table', 'Tap', 'Tensor', 'Unit', 'UpstreamError', 'UsageError',
           'Vector', 'Worker', 'read', 'serve', 'vectors']
