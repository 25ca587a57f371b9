// RUN: imcc opt %s --pass-pipeline 'decompose'
// A quotient of two computed values is a product with the reciprocal; the result keeps its name.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>, tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%a: tensor<1x2xf32>, %b: tensor<1x2xf32>):
    %y = "imcc.div"(%a, %b) {origin = ["Div_0"]} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:      %y_math = "imcc.math"(%b) {function = "reciprocal", origin = ["Div_0"]
// CHECK-NEXT: %y = "imcc.mul"(%a, %y_math) {origin = ["Div_0"]}
