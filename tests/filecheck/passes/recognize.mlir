// RUN: imcc opt %s --pass-pipeline 'recognize'
// The parts of a root mean square normalization become one operator.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x4xf32>) -> (tensor<1x4xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x4xf32>):
    %p = "imcc.mul"(%x, %x) {origin = ["Pow_0"]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
    %m = "imcc.reduce"(%p) {reduction = "mean", axes = array<i64: 1>, keep = true, origin = ["ReduceMean_1"]} : (tensor<1x4xf32>) -> tensor<1x1xf32>
    %e = "imcc.affine"(%m) {scale = 1.0 : f64, offset = 0.5 : f64, origin = ["Add_2"]} : (tensor<1x1xf32>) -> tensor<1x1xf32>
    %s = "imcc.math"(%e) {function = "sqrt", origin = ["Sqrt_3"]} : (tensor<1x1xf32>) -> tensor<1x1xf32>
    %y = "imcc.div"(%x, %s) {origin = ["Div_4"]} : (tensor<1x4xf32>, tensor<1x1xf32>) -> tensor<1x4xf32>
    "func.return"(%y) : (tensor<1x4xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:     %y = "imcc.normalize"(%x) {axes = array<i64: 1>, epsilon = 0.5 : f64, center = false
// CHECK-NOT: "imcc.math"
