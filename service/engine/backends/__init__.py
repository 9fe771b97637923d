"""Forms of a network (torch, ONNX Runtime, int8, CUDA graphs), and the choice between them."""
