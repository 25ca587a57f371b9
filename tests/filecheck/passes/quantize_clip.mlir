// RUN: imcc opt %s --pass-pipeline 'quantize{weight-bits=4}' --target isaac --seed 1
// A clip fuses with the product before it: its bounds become the codes 0 and 255, and both ONNX
// nodes are named. Weights have 4 bits and a scale each output channel, biases the product of
// the scales.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %w = "imcc.constant"() {value = dense<[[7.0, 3.5], [-7.0, 1.75]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
    %m = "imcc.matmul"(%x, %w) {origin = ["Gemm_0"]} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.clip"(%m) {low = 0.0 : f64, high = 6.0 : f64, origin = ["Clip_1"]} : (tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) {imcc.output_names = ["y"]} : () -> ()
}) : () -> ()

// CHECK:     "imcc.constant"() {value = dense<{{.*}}> : tensor<2x2xi8>{{.*}}} : () -> tensor<2x2x!quant.uniform<i8<-8:7>:f32:1, {
// CHECK:     "imcc.quantize"(%x)
// CHECK-NOT: "imcc.clip"
// CHECK:     "imcc.qmatmul"
// CHECK-SAME: low = 0 : i64, high = 255 : i64
// CHECK-SAME: origin = ["Gemm_0", "Clip_1"]
// CHECK:     "imcc.dequantize"
// CHECK:     imcc.output_names = ["y"]
