// RUN: imcc opt %s --pass-pipeline 'decompose'
// A running sum is a product with a triangle of ones; the result keeps its name.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x3xf32>) -> (tensor<1x3xf32>), sym_name = "main"}> ({
  ^bb0(%a: tensor<1x3xf32>):
    %y = "imcc.running"(%a) {axis = 1 : i64, product = false, exclusive = false, reverse = false, origin = ["CumSum_0"]} : (tensor<1x3xf32>) -> tensor<1x3xf32>
    "func.return"(%y) : (tensor<1x3xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:      %y_triangle = "imcc.constant"() {value = dense<{{.*}}1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0{{.*}}>
// CHECK:      %y = "imcc.matmul"(%a, %y_triangle) {origin = ["CumSum_0"]}
