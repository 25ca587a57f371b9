// RUN: imcc opt %s --pass-pipeline 'fold-batch-norm'
// scale / sqrt(var + epsilon) = 2 / sqrt(3 + 1) = 1 multiplies the weights, and the offset
// bias - mean * 1 = 5 - 2 becomes the bias. The result keeps both origins.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x1x2x2xf32>) -> (tensor<1x1x2x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x1x2x2xf32>):
    %w = "imcc.constant"() {value = dense<7.0> : tensor<1x1x1x1xf32>} : () -> tensor<1x1x1x1xf32>
    %scale = "imcc.constant"() {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %bias = "imcc.constant"() {value = dense<5.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %mean = "imcc.constant"() {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %var = "imcc.constant"() {value = dense<3.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %c = "imcc.conv"(%x, %w) {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, origin = ["Conv_0"]} : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
    %y = "imcc.batch_normalization"(%c, %scale, %bias, %mean, %var) {epsilon = 1.0 : f64, origin = ["BatchNormalization_1"]} : (tensor<1x1x2x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32>
    "func.return"(%y) : (tensor<1x1x2x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-DAG:  [[W:%[a-z0-9_]+]] = "imcc.constant"() {value = dense<{{\[+}}7.0{{\]+}}> : tensor<1x1x1x1xf32>
// CHECK-DAG:  [[B:%[a-z0-9_]+]] = "imcc.constant"() {value = dense<[3.0]> : tensor<1xf32>
// CHECK:      "imcc.conv"(%x, [[W]], [[B]])
// CHECK-SAME: origin = ["Conv_0", "BatchNormalization_1"]
// CHECK-NOT:  "imcc.batch_normalization"
