// RUN: imcc opt %s --pass-pipeline 'fold-batch-norm'
// scale 2, variance 4 - epsilon 0, mean 1, bias 3: factor 1 and offset 2, in place of weights 8
// and bias 5 stand 8 and 7. Both ONNX nodes are named.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x1x2xf32>) -> (tensor<1x1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x1x2xf32>):
    %w = "imcc.constant"() {value = dense<[[[8.0]]]> : tensor<1x1x1xf32>} : () -> tensor<1x1x1xf32>
    %b = "imcc.constant"() {value = dense<[5.0]> : tensor<1xf32>} : () -> tensor<1xf32>
    %scale = "imcc.constant"() {value = dense<[2.0]> : tensor<1xf32>} : () -> tensor<1xf32>
    %bias = "imcc.constant"() {value = dense<[3.0]> : tensor<1xf32>} : () -> tensor<1xf32>
    %mean = "imcc.constant"() {value = dense<[1.0]> : tensor<1xf32>} : () -> tensor<1xf32>
    %var = "imcc.constant"() {value = dense<[4.0]> : tensor<1xf32>} : () -> tensor<1xf32>
    %c = "imcc.conv"(%x, %w, %b) {strides = [1], pads = [0, 0], dilations = [1], group = 1 : i64, origin = ["conv"]} : (tensor<1x1x2xf32>, tensor<1x1x1xf32>, tensor<1xf32>) -> tensor<1x1x2xf32>
    %y = "imcc.batch_normalization"(%c, %scale, %bias, %mean, %var) {epsilon = 0.0 : f64, origin = ["norm"]} : (tensor<1x1x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x2xf32>
    "func.return"(%y) : (tensor<1x1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-DAG: dense<{{\[\[\[}}8.0
// CHECK-DAG: dense<[7.0
// CHECK:     %y = "imcc.conv"
// CHECK-SAME: origin = ["conv", "norm"]
// CHECK-NOT: batch_normalization
