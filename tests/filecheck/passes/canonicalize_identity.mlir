// RUN: imcc opt %s --pass-pipeline 'canonicalize'
// An identity goes away.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %a = "imcc.identity"(%x) : (tensor<1x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.tanh"(%a) : (tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) {imcc.output_names = ["y"]} : () -> ()
}) : () -> ()

// CHECK:      ^bb0(%x: tensor<1x2xf32>):
// CHECK-NEXT: %y = "imcc.tanh"(%x)
// CHECK-NEXT: "func.return"(%y)
