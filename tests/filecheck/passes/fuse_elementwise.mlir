// RUN: imcc opt %s --pass-pipeline 'fuse-elementwise'
// A value times its own sigmoid is one function of that value.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x4xf32>) -> (tensor<1x4xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x4xf32>):
    %s = "imcc.sigmoid"(%x) {origin = ["Sigmoid_0"]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %y = "imcc.mul"(%x, %s) {origin = ["Mul_1"]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
    "func.return"(%y) : (tensor<1x4xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: %y = "imcc.composed"(%x) {steps = [{op = {op = "imcc.sigmoid"}, operands = array<i64: 0>}, {op = {op = "imcc.mul"}, operands = array<i64: 0, 1>}], origin = ["Sigmoid_0", "Mul_1"]}
