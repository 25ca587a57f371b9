// RUN: imcc opt %s --pass-pipeline 'lower-batch-norm'
// A batch norm on its own is a depthwise 1x1 convolution: weight 2 / sqrt(3 + 1), bias 5 - 2.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x1x2x2xf32>) -> (tensor<1x1x2x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x1x2x2xf32>):
    %scale = "imcc.constant"() {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %bias = "imcc.constant"() {value = dense<5.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %mean = "imcc.constant"() {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %var = "imcc.constant"() {value = dense<3.0> : tensor<1xf32>} : () -> tensor<1xf32>
    %y = "imcc.batch_normalization"(%x, %scale, %bias, %mean, %var) {epsilon = 1.0 : f64, origin = ["BatchNormalization_1"]} : (tensor<1x1x2x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32>
    "func.return"(%y) : (tensor<1x1x2x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-DAG:  [[W:%[a-z0-9_]+]] = "imcc.constant"() {value = dense<{{\[+}}1.0{{\]+}}> : tensor<1x1x1x1xf32>
// CHECK-DAG:  [[B:%[a-z0-9_]+]] = "imcc.constant"() {value = dense<[3.0]> : tensor<1xf32>
// CHECK:      "imcc.conv"(%x, [[W]], [[B]])
// CHECK-SAME: origin = ["BatchNormalization_1"]
// CHECK-NOT:  "imcc.batch_normalization"
