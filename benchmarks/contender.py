"""One contender in its own process, which builds a network and times a step on request.

    python benchmarks/contender.py '{"system": "resnext", "mode": "train", "dtype": "float32"}'

The process prints one line of JSON when it is ready, and one with the seconds per step for every line that it reads. At
the end of its input it prints a line with its peak memory and exits. It needs only an environment with its own system.
"""

import contextlib
import json
import os
import resource
import sys
import time

import numpy as np

DEFAULTS = {"variant": "resnext50_32x4d", "form": "c", "batch": 16, "size": 224, "steps": 1}


def images_and_labels(task):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(task["batch"], task["size"], task["size"], 3)).astype("float32")
    return images, rng.integers(0, 1000, task["batch"])


def keras_step(task):
    """Return the seconds needed to build a network, and its step.

    The network is resnext's, the same one with Keras's own operations, or keras.applications.ResNet50.
    """
    import keras

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[task["dtype"]])
    if task["system"] == "keras.applications.ResNet50":
        arguments = {"weights": None, "classifier_activation": None, "input_shape": (task["size"], task["size"], 3)}
        built, model = None, keras.applications.ResNet50(**arguments)
    else:
        built, model = resnext_model(task)
    images, labels = map(keras.ops.convert_to_tensor, images_and_labels(task))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    if task["mode"] == "train":
        return built, lambda: model.train_on_batch(images, labels)
    if keras.backend.backend() != "torch":
        return built, lambda: model.predict_on_batch(images)
    import torch

    def infer():
        with torch.inference_mode():
            model.predict_on_batch(images)

    return built, infer


def resnext_model(task):
    """Return the seconds needed to build resnext's network, and the network, adapted to the task."""
    from resnext import ResNeXt, fold
    from resnext.model.recompute import recompute

    shape = (task["size"], task["size"], 3)
    started = time.perf_counter()
    model = ResNeXt(task["variant"], form=task["form"], input_shape=shape, classifier_activation=None, classes=1000)
    built = time.perf_counter() - started
    if task["system"] == "keras":
        for layer in model.layers:
            if hasattr(layer, "route"):
                layer.route, layer.supports_jit = "native", True
    elif task["mode"] == "infer":
        model = fold(model)
    elif task.get("remat"):
        model = recompute(model)
    return built, model


def torch_model(task):
    """Return the network of torchvision or timm."""
    import torch

    torch.set_num_threads(os.cpu_count())
    if task["system"] == "timm":
        import timm

        return timm.create_model(task["variant"])
    import torchvision

    return getattr(torchvision.models, task["variant"])()


def torch_step(task):
    """Return None and the step of torchvision or timm: channels last, eager or compiled, float32 or bfloat16."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch_model(task).to(device, memory_format=torch.channels_last)
    if task.get("compile"):
        model = torch.compile(model)
    images, labels = images_and_labels(task)
    images = torch.from_numpy(images).permute(0, 3, 1, 2).to(device, memory_format=torch.channels_last)
    labels = torch.from_numpy(labels).to(device)
    half = torch.autocast(device, torch.bfloat16, enabled=task["dtype"] == "bfloat16")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def train():
        optimizer.zero_grad()
        with half:
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    def infer():
        with torch.inference_mode(), half:
            model(images).float().cpu()

    model.train(task["mode"] == "train")
    return None, train if task["mode"] == "train" else infer


def engine_step(task):
    """Return None and the inference step of ONNX Runtime or OpenVINO with torchvision's network."""
    import io

    import torch

    model = torch_model({**task, "system": "torchvision"}).eval()
    images = images_and_labels(task)[0].transpose(0, 3, 1, 2).copy()
    file = io.BytesIO()
    with contextlib.redirect_stdout(sys.stderr):
        torch.onnx.export(model, (torch.from_numpy(images),), file, dynamo=False)
    if task["system"] == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return None, lambda: session.run(None, {name: images})
    import openvino

    hint = {"float32": "f32", "bfloat16": "bf16"}[task["dtype"]]
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(file.getvalue(), b""), "CPU", {"INFERENCE_PRECISION_HINT": hint}
    )
    return None, lambda: compiled(images)


STEPS = {"torchvision": torch_step, "timm": torch_step, "onnxruntime": engine_step, "openvino": engine_step}


def versions():
    from importlib.metadata import distributions

    names = "resnext keras tensorflow tensorflow_cpu jax torch torchvision timm onnxruntime openvino".split()  # noqa: SIM905
    return {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"] in names}


def main():
    started = time.perf_counter()
    task = {**DEFAULTS, **json.loads(sys.argv[1])}
    built, step = STEPS.get(task["system"], keras_step)(task)
    step()
    first = time.perf_counter() - started
    say(build_seconds=built, first_step_seconds=first, versions=versions())
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(task["steps"]):
            step()
        say(seconds=(time.perf_counter() - start) / task["steps"])
    say(peak_memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def say(**facts):
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
