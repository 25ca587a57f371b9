// RUN: imcc opt %s --expect-error
// A type that is not what the operator infers is an error that names node and operator.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x3xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %y = "imcc.relu"(%x) {origin = ["Relu_7"]} : (tensor<1x2xf32>) -> tensor<1x3xf32>
    "func.return"(%y) : (tensor<1x3xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: InputError: {{.*}}error_type.mlir: graph 'main' breaks the rules of the IR, 1 problem:
// CHECK-NEXT: Relu_7 (imcc.relu): results are tensor<1x3xf32>, but the operator infers tensor<1x2xf32>
