// RUN: imcc opt %s --pass-pipeline 'fold-constants'
// What depends on constants alone is computed once.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %a = "imcc.constant"() {value = dense<[[1.0, -2.0]]> : tensor<1x2xf32>} : () -> tensor<1x2xf32>
    %b = "imcc.relu"(%a) : (tensor<1x2xf32>) -> tensor<1x2xf32>
    %c = "imcc.add"(%b, %a) : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.mul"(%x, %c) {origin = ["Mul_3"]} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:      ^bb0(%x: tensor<1x2xf32>):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = "imcc.constant"() {value = dense<{{\[\[}}2.0, -2.0{{\]\]}}> : tensor<1x2xf32>
// CHECK-NEXT: "imcc.mul"(%x, [[C]]) {origin = ["Mul_3"]}
// CHECK-NEXT: "func.return"
