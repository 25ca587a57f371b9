// RUN: imcc opt %s --pass-pipeline 'fold-constants'
// What depends on constants only becomes a constant; what an input reaches stays.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %k = "imcc.constant"() {value = dense<[[-1.0, 2.0]]> : tensor<1x2xf32>} : () -> tensor<1x2xf32>
    %r = "imcc.relu"(%k) : (tensor<1x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.mul"(%x, %r) {origin = ["Mul_1"]} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-NOT: "imcc.relu"
// CHECK:     %r = "imcc.constant"() {value = dense<{{\[\[}}0.0{{.*}}, 2.0{{.*}}]]>
// CHECK:     "imcc.mul"(%x, %r) {origin = ["Mul_1"]}
