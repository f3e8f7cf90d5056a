"""Networks as ONNX graphs, for ONNX Runtime and whatever else reads them; also with 8-bit weights and activations."""

import json
import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from .models.inference import optimize_for_inference
from .models.onnx_siamrpn import DESCRIPTION, OnnxSiamRPN, as_plain, kernel_names
from .ops.xcorr import ONNX_OP
from .registry import SCOPE, TASK_UTILS

OPSET = 18


class _Template(nn.Module):
    """Images as the tracker cuts them -> the template's kernels, flat."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, template: Tensor) -> tuple[Tensor, ...]:
        return tuple(kernel for level in self.model.template_kernels(self.model.prepare_images(template)) for kernel in level)


class _Search(_Template):
    """Images and kernels -> cls_score, bbox_pred."""

    def forward(self, search: Tensor, kernels: list[Tensor]) -> tuple[Tensor, Tensor]:
        return self.model.correlate(list(zip(kernels[::2], kernels[1::2])), self.model.prepare_images(search))


def export_onnx(model: nn.Module, folder: 'str | os.PathLike[str]', tracker: Optional[dict] = None,
                weight_growth: float = 8) -> OnnxSiamRPN:
    """Write a network as one graph for templates and one for each size of search images.

    The graphs take (B, S, S, 3) uint8 BGR images, for any B, and normalise them; `search_S.onnx` also takes what `template.onnx`
    gives. Boxes are decoded outside of them.

    Args:
        model: From `apis.init_model`, on a CPU. It is changed, see `optimize_for_inference`.
        folder: Made if it is not there; files of an earlier export are written over.
        tracker: Config of the policy, which names the sizes; None takes that of the model's config.
        weight_growth: As in `optimize_for_inference`: speed against size.

    Returns:
        The exported network, which has given the same maps as the model for random images.

    Raises:
        ImportError: If a package that exporting needs is not installed.
        ValueError: If the exported network gives other maps.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ImportError(f"exporting needs {error.name}: pip install 'siamrpnpp_plugin[onnx]'") from error
    config = model.cfg
    policy = as_plain(tracker or config.get('tracker', dict(type=f'{SCOPE}.SiamRPNTracker')))
    scope = config.get('default_scope', SCOPE)
    with DefaultScope.overwrite_default_scope(scope):
        built = TASK_UTILS.build(policy)
    template_size, sizes = built.template_size, built.search_sizes
    head = config.model.head
    description = dict(
        tracker=policy, default_scope=scope, template_size=template_size, search_sizes=sizes,
        anchor_generator=as_plain(head.get('anchor_generator', dict(type=f'{SCOPE}.AnchorGenerator'))),
        box_coder=as_plain(head.get('box_coder', dict(type=f'{SCOPE}.DeltaBoxCoder'))))
    optimize_for_inference(model, sizes[0], template_size, weight_growth=1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    template = rng.integers(0, 256, (2, template_size, template_size, 3), np.uint8)
    with torch.inference_mode():
        kernels = model.template_kernels(model.prepare_images(template))
    names = kernel_names(len(kernels))
    flat = [kernel.clone() for level in kernels for kernel in level]  # no longer of inference mode
    _write(_Template(model), dict(template=torch.from_numpy(template)), names, folder / 'template.onnx', onnx)
    optimize_for_inference(model, sizes[0], template_size, weight_growth)  # templates are looked at once: their graph stays small
    searches = {side: rng.integers(0, 256, (2, side, side, 3), np.uint8) for side in sizes}
    for side, search in searches.items():
        _write(_Search(model), dict(search=torch.from_numpy(search), kernels=flat), ['cls_score', 'bbox_pred'],
               folder / f'search_{side}.onnx', onnx, names)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + '\n', encoding='utf-8')
    exported = OnnxSiamRPN(folder)
    kernels = exported.template_kernels(template)
    for side, search in searches.items():
        with torch.inference_mode():
            expected = model.correlate(model.template_kernels(model.prepare_images(template)), model.prepare_images(search))
        for ours, theirs in zip(exported.correlate(kernels, search), expected):
            error, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
            if not error <= 1e-4 * largest:
                raise ValueError(f'{folder}: the graph for {side}x{side} gives other maps than the model: {error:.1g} off, where '
                                 f'the largest value is {largest:.1g}')
    return exported


def _write(module: nn.Module, inputs: dict, outputs: list, path: Path, onnx: Any, kernels: Optional[list] = None) -> None:
    """Export a module; its batch stays free."""
    batch = torch.export.Dim('batch')
    shapes = {name: [{0: batch}] * len(value) if isinstance(value, list) else {0: batch} for name, value in inputs.items()}
    with _quiet():
        program = torch.onnx.export(module.eval(), (), kwargs=inputs, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes,
                                    input_names=[name for name in inputs if name != 'kernels'] + (kernels or []),
                                    output_names=outputs, verbose=False)
    graph = program.model_proto
    domain = ONNX_OP.split('::')[0]
    if any(node.domain == domain for node in graph.graph.node):
        graph.functions.append(_convolve_each(onnx))
        if all(opset.domain != domain for opset in graph.opset_import):
            graph.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    for entry in (*graph.graph.node, *graph.functions[0].node) if graph.functions else graph.graph.node:
        del entry.metadata_props[:]  # where in whose source a node comes from
    _save(onnx, graph, path)


def _save(onnx: Any, graph: Any, path: Path) -> None:
    """Write a graph, its weights in a file beside it: ONNX Runtime maps that instead of reading it."""
    weights = path.with_suffix('.weights')
    weights.unlink(missing_ok=True)  # onnx appends
    onnx.save(graph, str(path), save_as_external_data=True, location=weights.name)


def _convolve_each(onnx: Any) -> Any:
    """The function of a graph that convolves each sample of a batch with its own kernels: `ops.xcorr` in ONNX's words."""
    helper, domain = onnx.helper, ONNX_OP.split('::')
    convolve = helper.make_node('Conv', ['search_1', 'kernels_n'], ['response_1'])
    convolve.attribute.append(onnx.AttributeProto(name='group', type=onnx.AttributeProto.INT, ref_attr_name='group'))
    nothing = onnx.TensorProto.FLOAT
    body = helper.make_graph(
        [helper.make_node('Constant', [], ['first'], value_ints=[0]),
         helper.make_node('Unsqueeze', ['search_n', 'first'], ['search_1']), convolve,
         helper.make_node('Squeeze', ['response_1', 'first'], ['response_n'])],
        'sample', [helper.make_tensor_value_info(name, nothing, None) for name in ('search_n', 'kernels_n')],
        [helper.make_tensor_value_info('response_n', nothing, None)])
    scan = helper.make_node('Scan', ['search', 'kernels'], ['response'], num_scan_inputs=2, body=body)
    return helper.make_function(*domain, ['search', 'kernels'], ['response'], [scan], [helper.make_opsetid('', OPSET)], ['group'])


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter without what it says of packages that we do not use."""
    logger = logging.getLogger('torch.onnx._internal.exporter._registration')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def quantize_onnx(source: 'str | os.PathLike[str]', folder: 'str | os.PathLike[str]', images: Iterable[tuple],
                  reduce_range: bool = False) -> OnnxSiamRPN:
    """The same network with 8-bit convolutions on search images; templates, correlation and heads keep 32 bits.

    Args:
        source: From `export_onnx` with `weight_growth=1`: minimal filtering and 8 bits exclude each other.
        folder: Where to write.
        images: Of every sample the template image and search image, (S, S, 3) uint8 BGR each, as the tracker cuts them: the range
            of every activation is taken from them. A hundred from the videos to be tracked are enough.
        reduce_range: 7-bit weights, for processors without VNNI, whose 8-bit products can overflow.

    Returns:
        The quantised network.

    Raises:
        ImportError: If a package that quantising needs is not installed.
        ValueError: If there are no images, or the source has filtered convolutions.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ImportError(f"quantising needs {error.name}: pip install 'siamrpnpp_plugin[onnx]'") from error
    source, folder = OnnxSiamRPN(source), Path(folder)
    samples = [(template, search) for template, search in images]
    if not samples:
        raise ValueError('quantising needs images: give some frames to --calibration')
    folder.mkdir(parents=True, exist_ok=True)

    class Reader(CalibrationDataReader):
        def __init__(self, side: int) -> None:
            self.left = [sample for sample in samples if sample[1].shape[0] == side]

        def get_next(self) -> Optional[dict]:
            if not self.left:
                return None
            template, search = self.left.pop()
            kernels = source.template_kernels(template[None])
            return dict(zip(kernel_names(len(kernels)), (kernel.numpy() for kernel in sum(kernels, ()))), search=search[None])

    for side in source.cfg['search_sizes']:
        name = f'search_{side}.onnx'
        graph = onnx.load(source.folder / name)
        if any(node.op_type == 'MatMul' for node in graph.graph.node):
            raise ValueError(f'{source.folder / name} has filtered convolutions: export it with --weight-growth 1')
        if not any(sample[1].shape[0] == side for sample in samples):
            raise ValueError(f'no sample has a search image of {side}x{side}')
        # the last convolutions, whose numbers are scores and offsets, keep 32 bits: they cost little and decide all
        kept = [node.name for node in graph.graph.node if node.op_type == 'Conv' and _is_last(graph, node)]
        whole, prepared = folder / f'{name}.whole', folder / f'{name}.prepared'
        onnx.save(graph, str(whole))
        with _quiet():
            quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
            quantize_static(str(prepared), str(folder / f'{name}.tmp'), Reader(side), quant_format=QuantFormat.QDQ,
                            op_types_to_quantize=['Conv'], per_channel=True, reduce_range=reduce_range, nodes_to_exclude=kept,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                            calibrate_method=CalibrationMethod.MinMax)
        _save(onnx, onnx.load(folder / f'{name}.tmp'), folder / name)
        for path in (whole, prepared, folder / f'{name}.tmp'):
            path.unlink()
    for name in ('template.onnx', 'template.weights', DESCRIPTION):
        (folder / name).write_bytes((source.folder / name).read_bytes())
    return OnnxSiamRPN(folder)


def _is_last(graph: Any, node: Any) -> bool:
    """Whether no convolution follows a node."""
    reached, frontier = set(), set(node.output)
    while frontier:
        followers = [other for other in graph.graph.node if frontier & set(other.input) and other.name not in reached]
        if any(other.op_type == 'Conv' for other in followers):
            return False
        reached |= {other.name for other in followers}
        frontier = {output for other in followers for output in other.output}
    return True
