// RUN: imcc opt %s --expect-error
// Errors of the text show the place.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %y = "imcc.leaky_relu"(%x) {alhpa = 0.1 : f64} : (tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: InputError: {{.*}}error_attribute.mlir:7:10: imcc.leaky_relu: imcc.leaky_relu has no attribute 'alhpa'; did you mean 'alpha'? (it has alpha)
// CHECK-NEXT: %y = "imcc.leaky_relu"
// CHECK-NEXT: {{^ +\^$}}
