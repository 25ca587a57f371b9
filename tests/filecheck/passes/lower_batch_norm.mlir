// RUN: imcc opt %s --pass-pipeline 'lower-batch-norm'
// Without a product before it, and without spatial axes, a scale for each channel becomes a
// depthwise convolution between two reshapes.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %k = "imcc.constant"() {value = dense<[5.0, 6.0]> : tensor<2xf32>} : () -> tensor<2xf32>
    %y = "imcc.mul"(%x, %k) {origin = ["Mul_0"]} : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:      "imcc.reshape"(%x) {shape = array<i64: 1, 2, 1>, origin = ["Mul_0"]
// CHECK-NEXT: "imcc.conv"({{.*}}) {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 2 : i64, origin = ["Mul_0"]
// CHECK-NEXT: %y = "imcc.reshape"({{.*}}) {shape = array<i64: 1, 2>, origin = ["Mul_0"]
