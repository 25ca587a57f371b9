// RUN: imcc opt %s --pass-pipeline 'add-batch-axis'
// Windows of an image lie under a new axis; where extent 1 comes back, it is the batch again.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x4x2xf32>) -> (tensor<1x8xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x4x2xf32>):
    %a = "imcc.relu"(%x) {origin = ["Relu_0"]} : (tensor<1x4x2xf32>) -> tensor<1x4x2xf32>
    %w = "imcc.reshape"(%a) {origin = ["Reshape_1"], shape = [2, 2, 2]} : (tensor<1x4x2xf32>) -> tensor<2x2x2xf32>
    %t = "imcc.transpose"(%w) {origin = ["Transpose_2"], perm = [1, 0, 2]} : (tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
    %y = "imcc.reshape"(%t) {origin = ["Reshape_3"], shape = [1, 8]} : (tensor<2x2x2xf32>) -> tensor<1x8xf32>
    "func.return"(%y) : (tensor<1x8xf32>) -> ()
  }) {imcc.batched = false} : () -> ()
}) : () -> ()

// CHECK-NOT: batched
// CHECK:     "imcc.relu"(%x) {{.*}}tensor<1x4x2xf32>
// CHECK:     "imcc.reshape"(%a) {shape = array<i64: 1, 2, 2, 2>
// CHECK:     "imcc.transpose"(%w) {perm = array<i64: 0, 2, 1, 3>
// CHECK:     "imcc.reshape"(%t) {shape = array<i64: 1, 8>
